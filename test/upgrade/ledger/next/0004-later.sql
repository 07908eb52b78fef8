-- An expand after a contract that waits: it does not wait with it.
create table ledger.later (id integer primary key, at timestamptz not null default now());
