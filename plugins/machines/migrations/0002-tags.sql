-- What an operator says of a machine: its tags, and how a system that runs on it from memory gets its root (null: as its image says).
alter table machines.machine add column tags text[] not null default '{}';
alter table machines.machine add column boot_way text check (boot_way in ('http', 'iscsi', 'initrd'));
create index machine_tags on machines.machine using gin (tags);
