-- Who DHCPv6 says it is: one server to its clients, whichever rack answers, so that any rack may go on where another left off.
create table dhcp.server6 (
  one boolean primary key default true check (one),
  id uuid not null default gen_random_uuid()
);
insert into dhcp.server6 default values;
