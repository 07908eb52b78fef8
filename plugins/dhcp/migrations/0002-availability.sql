-- Who may have an address while racks are cut off from the regions (docs/dhcp-availability.md sections 4 to 6).
-- One sequence for everything that must be told apart from what was before it: acts of binding, retirements, reserves, standings.
create sequence dhcp.number;

alter table dhcp.address
  add column number bigint not null default nextval('dhcp.number'), -- names the act of binding; a later word about a binding counts only for it
  add column reserve_of text, -- the rack that may give it away alone. Beside a client: that rack gave it so, and has not heard yet that it is stored
  add column reserve_grant bigint,
  add column retiring bigint, -- the round; the client's claim ends, and racks are asked to forget it
  add column waits_for text[] not null default '{}'; -- racks that may still act for the last client
alter table dhcp.address drop constraint address_check; -- what takes its place comes with the contract 0009, and so do the rules about what is new
create index on dhcp.address (reserve_of, subnet_id) where reserve_of is not null;
create index on dhcp.address (retiring) where retiring is not null;
create index on dhcp.address (quarantined_until) where quarantined_until is not null;

-- What a rack was heard to say. `standing` goes up when the referee stops waiting for it; promised_until: until then the rack may act on what it knows.
create table dhcp.rack (
  rack text primary key,
  heard_at timestamptz not null default now(),
  promised_until timestamptz not null default now(),
  standing bigint not null default nextval('dhcp.number'),
  journal_epoch text,
  journal_seq bigint not null default 0
);
-- Journals a rack had before: a word from one of them means nothing any more.
create table dhcp.former_journal (rack text not null, epoch text not null, primary key (rack, epoch));
-- Who was ever told of a subnet's bindings.
create table dhcp.told (rack text not null, subnet_id text not null, primary key (subnet_id, rack));
