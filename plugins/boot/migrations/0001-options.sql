-- Kernel options that operators keep for what boots over the network: for every machine (global), for those with a tag (tag:<name>), for one (machine:<id>).
create schema if not exists boot;

create table boot.option (
  scope text primary key check (scope = 'global' or scope ~ '^(tag|machine):.'),
  options text not null check (options ~ '^[ -~]+$' and length(options) <= 500)
);
