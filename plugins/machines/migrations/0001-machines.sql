-- Machines, their interfaces and their history.
create schema machines;

create table machines.machine (
  id text primary key,
  hostname text not null unique,
  status text not null,
  previous text,
  reason text,
  since timestamptz not null,
  deadline timestamptz,
  architecture text not null,
  firmware text not null default 'unknown',
  owner text,
  inventory jsonb,
  deployment jsonb,
  installed boolean not null default false,
  host_keys jsonb not null default '[]',
  version bigint not null default 1
);
create index machine_status on machines.machine (status, id);
create index machine_owner on machines.machine (owner, id) where owner is not null;
create index machine_deadline on machines.machine (deadline) where deadline is not null;

create table machines.interface (
  mac text primary key,
  machine text not null references machines.machine on delete cascade,
  name text,
  vlan_id text,
  boot boolean not null default false
);
create index interface_machine on machines.interface (machine);

-- Append-only. `id` is the keyset.
create table machines.event (
  id bigint generated always as identity primary key,
  machine text not null references machines.machine on delete cascade,
  at timestamptz not null,
  type text not null,
  level text not null,
  message text not null,
  data jsonb
);
create index event_machine on machines.event (machine, id);
