-- How every controller and every service of it is, and how that came about.
create schema tracking;

-- `make`: version and roles its last whole report was of. `interfaces`: of a region that is no rack (of racks the network plugin knows them).
-- The state is the one the leader wrote last.
create table tracking.controller (
  id text primary key,
  make text,
  interfaces jsonb not null default '[]',
  state text not null default 'unknown',
  reason text,
  since timestamptz not null default now()
);

-- `state`, `reason`, `since`: what the controller itself said last. `shown_…`: what is made of it, as the history knows it.
create table tracking.service (
  controller text not null references tracking.controller on delete cascade,
  role text not null, -- '' for the core's own
  plugin text not null,
  service text not null,
  leader boolean not null,
  state text not null,
  reason text,
  since timestamptz not null,
  restarts integer not null,
  shown_state text not null,
  shown_reason text,
  shown_since timestamptz not null,
  primary key (controller, role, plugin, service)
);

-- Links as the region that holds them knows them.
create table tracking.link (
  region text not null,
  rack text not null,
  since timestamptz not null default now(),
  primary key (region, rack)
);

-- Links a rack misses, with its reason.
create table tracking.missed (
  rack text not null,
  region text not null, -- '' while it does not know who answers there
  url text not null,
  reason text,
  since timestamptz not null default now(),
  primary key (rack, region, url)
);

-- `plugin` and `service` are null for a change of the controller itself.
create table tracking.history (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  controller text not null,
  role text,
  plugin text,
  service text,
  state text not null,
  reason text
);
create index on tracking.history (controller, id);
create index on tracking.history (at);
