-- Which rack served which subnet when it was last looked at: what has changed since is told as a whole (topic dhcp.serving), everything else entry by entry.
create table dhcp.served (subnet_id text not null, rack text not null, primary key (subnet_id, rack));
