-- BMCs, what is known of their machines' power, and what shall be done to it.
create schema power;

create table power.machine (
  machine text primary key,
  driver text not null,
  parameters jsonb not null,          -- without secrets
  secrets text,                       -- the secret ones, sealed
  state text not null default 'unknown',
  checked_at timestamptz,
  error text
);
create index machine_checked on power.machine (checked_at nulls first);

create table power.action (
  id bigint generated always as identity primary key,
  machine text not null,
  action text not null,
  boot text,
  state text not null default 'queued',
  step integer not null default 0,    -- steps of the action that are known to be done
  attempts integer not null default 0,
  rack text,
  error text,
  created_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz
);
-- One waits and one runs, at most.
create unique index action_queued on power.action (machine) where state = 'queued';
create unique index action_running on power.action (machine) where state = 'running';
create index action_machine on power.action (machine, id);
