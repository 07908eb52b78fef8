-- Reports by the name their machine gave them: one that is said again, at whichever rack, counts once.
create table provision.heard (
  token text not null references provision.session (token) on delete cascade,
  id text not null,
  primary key (token, id)
);
