-- Ranges of IPv6 are too large for anybody to want a lapsed address again: what lapsed long ago is found by its end.
create index on dhcp.address (expires) where family(address) = 6 and mac is not null;
