-- Network cards of machines whose firmware has refused iPXE, as Secure Boot does: they get shim and GRUB.
create table boot.refused (
  mac text primary key,
  at timestamptz not null default now()
);
