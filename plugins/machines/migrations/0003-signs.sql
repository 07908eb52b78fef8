-- What a machine's BMC can be told by.
create index machine_uuid on machines.machine (lower(inventory #>> '{dmi,product_uuid}'));
create index machine_bmc on machines.machine ((inventory #>> '{bmc,address}'));
