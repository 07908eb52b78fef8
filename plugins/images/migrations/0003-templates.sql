-- Texts of the image itself for boot loaders, by loader (ipxe, grub, pxelinux); null when it has none.
alter table images.image add column templates jsonb;
