-- What a machine that runs our kernel is allowed to ask for: one session at a time, known by its token.
create schema provision;

create table provision.session (
  machine text primary key,
  token text not null unique,
  purpose text not null check (purpose in ('commission', 'deploy', 'release')),
  image text, -- what is installed: the image as it was when the deployment began, whatever is imported under its name later
  created_at timestamptz not null default now()
);
