-- Which rack reaches which BMC, and who asks it; what a machine is started with.
alter table power.machine
  add column endpoint text,            -- where its BMC is, without credentials: ipmi://10.0.0.9:623; null where any rack will do
  add column poller text,              -- the rack that asks it for its state; null: nobody can
  add column version bigint not null default 0, -- of driver and parameters: what was asked with older ones is not believed. 0: the endpoint was not computed yet
  add column turn bigint not null default 0, -- one more after each action: what was asked before it ended is not believed after it
  add column acting text;              -- the rack that was handed an action and has not answered: it may still be at it
alter table power.action
  add column firmware text,
  add column cancelled boolean not null default false; -- somebody called it off while it ran

create table power.route (
  endpoint text not null,
  rack text not null,
  reachable boolean not null,
  rtt real,                            -- ms
  measured_at timestamptz not null,
  primary key (endpoint, rack)
);
create index machine_endpoint on power.machine (endpoint);
create index machine_poller on power.machine (poller);

-- A region of the version before configures a BMC without a word of its place or version: then any rack will do, and what was asked before is not believed.
create function power.reconfigured () returns trigger language plpgsql as $$
begin
  if new.version = old.version and (new.driver, new.parameters, new.secrets) is distinct from (old.driver, old.parameters, old.secrets) then
    new.version := old.version + 1;
    new.endpoint := null;
    new.poller := null;
  end if;
  return new;
end $$;
create trigger reconfigured before update of driver, parameters, secrets on power.machine for each row execute function power.reconfigured();

-- Nobody looks for the BMC that was asked longest ago any more; and without it, noting that thousands answered moves no index entries.
drop index power.machine_checked;
