-- Foreign DHCP servers, as racks heard them.
create table dhcp.rogue (
  vlan_id text not null,
  address inet not null,
  mac text not null,
  rack text not null,
  first_seen timestamptz not null,
  last_seen timestamptz not null,
  primary key (vlan_id, address, mac, rack)
);
create index on dhcp.rogue (last_seen);
