create schema traffic;
-- No unique key: a fact that is stored twice has to show.
create table traffic.fact (id bigint generated always as identity primary key, rack text not null, life text not null, seq integer not null);
create index on traffic.fact (rack, life, seq);
create table traffic.call (rack text not null, life text not null, seq integer not null, primary key (rack, life, seq));
