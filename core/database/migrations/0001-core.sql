-- Every committed change, for the feed: written in the changing transaction, read by what each reader has not seen (see feed.ts), pruned after an hour.
create table core.change (
  seq   bigint generated always as identity,
  xid   xid8 not null default pg_current_xact_id(),
  topic text not null,
  id    text not null,
  at    timestamptz not null default clock_timestamp()
);
create index change_xid on core.change (xid);
create index change_at on core.change using brin (at);

-- How far the log was pruned: a reader that has not seen this transaction has missed something.
create table core.change_horizon (
  id  integer primary key default 1 check (id = 1),
  xid xid8 not null default '0'
);
insert into core.change_horizon default values;

-- Who leads. The term grows with each takeover; a term that was given up has expired.
create table core.leader (
  name       text primary key,
  holder     text not null,
  term       bigint not null,
  elected_at timestamptz not null,
  expires_at timestamptz not null,
  unique (name, term) -- makes a takeover, unlike a renewal, an update of a key: it waits for the writers of the old term, a renewal does not
);

create table core.controller (
  id                 text primary key,
  hostname           text not null,
  roles              text[] not null,
  version            text not null,
  addresses          jsonb not null default '[]',
  rpc_port           integer,
  certificate_sha256 text,
  created_at         timestamptz not null default now(),
  last_seen_at       timestamptz not null default now()
);

create table core.enrolment_token (
  id            text primary key,
  secret_sha256 text not null,
  roles         text[] not null,
  expires_at    timestamptz not null,
  used_at       timestamptz,
  used_by       text
);

-- The region's certificate authority: one for all regions; the key is sealed.
create table core.authority (
  id          integer primary key default 1 check (id = 1),
  certificate text not null,
  sealed_key  text not null,
  created_at  timestamptz not null default now()
);

-- What each rack has acknowledged of its wanted state.
create table core.rack_state (
  rack            text not null,
  plugin          text not null,
  position        text not null,
  acknowledged_at timestamptz not null default now(),
  error           text,
  primary key (rack, plugin)
);

-- How far each rack's facts are stored. An epoch is one life of its outbox.
create table core.fact_cursor (
  rack       text not null,
  epoch      text not null,
  seq        bigint not null,
  updated_at timestamptz not null default now(),
  primary key (rack, epoch)
);

-- Facts that no plugin would take: kept for a person to look at, so that they do not block those behind them.
create table core.fact_rejected (
  rack   text not null,
  epoch  text not null,
  seq    bigint not null,
  plugin text not null,
  kind   text not null,
  body   jsonb,
  reason text not null,
  at     timestamptz not null default now(),
  primary key (rack, epoch, seq)
);

-- Answers to requests that carried an Idempotency-Key.
create table core.idempotency (
  key         text not null,
  principal   text not null,
  fingerprint text not null,
  status      integer,
  body        jsonb,
  created_at  timestamptz not null default now(),
  primary key (key, principal)
);
create index idempotency_created on core.idempotency (created_at);
