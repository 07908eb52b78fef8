-- What was written, and what was counted how often.
create schema ledger;
create table ledger.entry (id text primary key, note text not null);
create table ledger.tick (rack text not null, n bigint not null, times integer not null default 1, primary key (rack, n));
