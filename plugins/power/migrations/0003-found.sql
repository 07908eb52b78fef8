-- What scans look for, and the BMCs they found.
create table power.scan (
  id bigint generated always as identity primary key,
  range text not null,
  addresses integer not null,
  secrets text,                        -- the credentials to try, sealed; gone when it has ended
  state text not null default 'running',
  chunks integer[] not null default '{}', -- those that are done
  looked integer not null default 0,   -- addresses of these
  error text,
  created_at timestamptz not null,
  finished_at timestamptz
);
create index scan_running on power.scan (id) where state = 'running';

create table power.found (
  host inet not null,
  driver text not null,
  address text not null,               -- what to configure it by
  tls text,                            -- how to know it again
  uuid text,                           -- its machine's
  vendor text,
  model text,
  serial text,
  problem text,                        -- why it could not be asked whose it is
  secrets text,                        -- the credentials it takes, sealed
  rack text not null,
  scan bigint not null,
  seen_at timestamptz not null,
  primary key (host, driver)
);
create index found_uuid on power.found (uuid);
create index found_scan on power.found (scan);
