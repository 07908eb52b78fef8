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
