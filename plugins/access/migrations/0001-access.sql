-- Who may use the API, with which tokens, and what they did with them.
create schema access;

create table access.account (
  id bigint generated always as identity primary key,
  name text not null unique,
  created_at timestamptz not null default now()
);

-- A token itself is shown once and stored nowhere; its SHA-256 finds it again.
create table access.token (
  id bigint generated always as identity primary key,
  account_id bigint not null references access.account on delete cascade,
  name text not null,
  prefix text not null, -- first characters, to tell tokens apart
  hash bytea not null unique,
  scopes text[] not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  used_at timestamptz -- to about five minutes
);
create index on access.token (account_id);

create table access.audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  principal text, -- null: nobody known
  token_id bigint, -- no reference: the record outlives the token
  method text not null,
  url text not null,
  status integer not null,
  request_id text not null
);
create index on access.audit (at);
