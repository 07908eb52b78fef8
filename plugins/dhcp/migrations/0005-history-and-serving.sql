-- Which rack served which subnet when it was last looked at: what has changed since is told as a whole (topic dhcp.serving), everything else entry by entry.
create table dhcp.served (subnet_id text not null, rack text not null, primary key (subnet_id, rack));

-- Since when its client has it without a break; an extension leaves it.
alter table dhcp.address add column since timestamptz not null default now();

-- Who had an address before whoever has it now. Written when it changes hands, so that giving a free one and extending a lease cost nothing.
create table dhcp.history (
  address inet not null,
  subnet_id text not null,
  client text not null,
  client_id text,
  hostname text,
  since timestamptz not null,
  until timestamptz not null
);
create index on dhcp.history (address, until);
create index on dhcp.history (until);

create function dhcp.remember() returns trigger language plpgsql as $$
begin
  insert into dhcp.history (address, subnet_id, client, client_id, hostname, since, until)
  values (old.address, old.subnet_id, old.mac, old.client_id, old.hostname, old.since, least(old.expires, now()));
  return null;
end $$;
create trigger remembered after update on dhcp.address for each row
  when (old.mac is not null and old.expires > old.since and (new.mac is distinct from old.mac or new.since <> old.since)) execute function dhcp.remember();
create trigger remembered_at_last after delete on dhcp.address for each row
  when (old.mac is not null and old.expires > old.since) execute function dhcp.remember();
