-- Where a region's API is reached, for whoever builds a front door; and since when it runs. Empty for racks, and for regions of a version before.
alter table core.controller
  add column http_port      integer,
  add column api            jsonb not null default '[]',
  add column started_at     timestamptz,
  add column holds_database boolean not null default false; -- its embedded database is the installation's: it cannot leave

-- A controller that was cut off between its enrolment and the answer repeats it with the same key.
alter table core.enrolment_token add column used_key_sha256 text;

-- Removed controllers, so that one that comes back is turned away; a row that a failover lost is no removal. Enrolling again ends it.
create table core.controller_removed (
  id         text primary key,
  hostname   text not null,
  removed_at timestamptz not null default now()
);
