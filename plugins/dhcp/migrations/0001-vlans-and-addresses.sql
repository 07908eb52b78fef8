-- Which VLANs are served, and who has which address. An address with no row is free.
create schema dhcp;

create table dhcp.vlan (
  vlan_id text primary key,
  enabled boolean not null default false,
  racks text[] not null default '{}' -- ranked, first answers first; empty: every rack attached to the VLAN, by id
);

-- One row per address and never two owners: it is bound to a machine, or lies in the block of one rack, or is kept from everybody.
-- A binding that has expired still says whose the address was, and lasts until somebody else gets it.
create table dhcp.address (
  address inet primary key,
  subnet_id text not null,
  mac text,
  client_id text,
  hostname text,
  bound_at timestamptz,
  expires timestamptz,
  rack text,
  granted_at timestamptz,
  quarantined_until timestamptz,
  check (num_nonnulls(mac, rack, quarantined_until) = 1),
  check ((mac is null) = (expires is null) and (mac is null) = (bound_at is null)),
  check ((rack is null) = (granted_at is null))
);
create index on dhcp.address (mac) where mac is not null;
create index on dhcp.address (subnet_id, address);
create index on dhcp.address (rack, subnet_id) where rack is not null;
