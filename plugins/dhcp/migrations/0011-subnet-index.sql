-- Every binding that is made is written into this index: without the address in it, it is a tenth of the size.
create index on dhcp.address (subnet_id);
drop index dhcp.address_subnet_id_address_idx;
