-- How the root of an image reaches a machine that runs it from memory: by HTTP, over iSCSI, or beside the initrd.
alter table images.image add column way text not null default 'http' check (way in ('http', 'iscsi', 'initrd'));
