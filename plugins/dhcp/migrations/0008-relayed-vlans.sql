-- A VLAN on which no rack has an interface: its relays send to this one, and the racks of this one serve it.
alter table dhcp.vlan add column via text check (via <> vlan_id);
