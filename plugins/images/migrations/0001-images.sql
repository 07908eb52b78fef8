-- Files by content, in pieces, and the images made of them.
create schema images;

-- What one client sends. Two clients that send the same file never touch each other's pieces; the first whole one becomes the file.
create table images.upload (
  id uuid primary key default gen_random_uuid(),
  touched_at timestamptz not null default now()
);

create table images.chunk (
  upload uuid not null references images.upload on delete cascade,
  number integer not null check (number >= 0),
  data bytea not null,
  primary key (upload, number)
);
alter table images.chunk alter column data set storage external; -- the contents are compressed already

-- Whole and verified: there is a row only once the SHA-256 was right.
create table images.file (
  sha256 text primary key check (sha256 ~ '^[0-9a-f]{64}$'),
  size bigint not null check (size >= 0),
  upload uuid not null unique references images.upload,
  created_at timestamptz not null default now()
);

create table images.image (
  id bigint generated always as identity primary key,
  name text not null,
  os text not null,
  release text not null,
  architecture text not null,
  title text not null,
  user_name text not null,
  kernel_options text not null,
  kernel text not null references images.file,
  initrd text not null references images.file,
  root text not null references images.file,
  created_at timestamptz not null default now()
);
create index on images.image (name, id desc);
create index on images.image (architecture, id desc);
create index on images.image (kernel);
create index on images.image (initrd);
create index on images.image (root);

-- Which rack has which file, whole and verified.
create table images.held (
  rack text not null,
  sha256 text not null references images.file on delete cascade,
  at timestamptz not null default now(),
  primary key (rack, sha256)
);
create index on images.held (sha256);
