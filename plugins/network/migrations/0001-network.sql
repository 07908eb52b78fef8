-- Fabrics to addresses. The constraints are the last word; the API says the same in sentences first.
create schema network;

create table network.fabric (
  id bigint generated always as identity primary key,
  name text not null unique
);

create table network.vlan (
  id bigint generated always as identity primary key,
  fabric_id bigint not null references network.fabric on delete cascade,
  vid integer not null check (vid between 0 and 4094), -- 0: untagged
  name text not null,
  mtu integer not null default 1500 check (mtu between 552 and 65535),
  unique (fabric_id, vid)
);

create table network.subnet (
  id bigint generated always as identity primary key,
  vlan_id bigint not null references network.vlan,
  name text not null,
  cidr cidr not null,
  gateway inet check (gateway <<= cidr),
  dns_servers inet[] not null default '{}',
  cursor inet, -- where the search for the next free address begins
  constraint subnet_overlap exclude using gist (cidr inet_ops with &&)
);
create index on network.subnet (vlan_id);

create type network.inetrange as range (subtype = inet);

-- Subnets do not overlap and a range lies in its subnet, so ranges need not overlap anywhere.
create table network.range (
  id bigint generated always as identity primary key,
  subnet_id bigint not null references network.subnet on delete cascade,
  kind text not null check (kind in ('dynamic', 'reserved')),
  low inet not null,
  high inet not null,
  comment text not null default '',
  check (family(low) = family(high) and low <= high),
  constraint range_overlap exclude using gist (network.inetrange(low, high, '[]') with &&)
);
create index on network.range (subnet_id);

create table network.address (
  address inet primary key,
  subnet_id bigint not null references network.subnet,
  kind text not null check (kind in ('auto', 'sticky', 'reserved')),
  mac text,
  owner text,
  hostname text,
  created_at timestamptz not null default now()
);
create index on network.address (subnet_id, address);
create index on network.address (owner) where owner is not null;
create index on network.address (mac) where mac is not null;

-- What the racks see of themselves; which VLAN that touches follows from the subnets at the time of asking.
create table network.rack_interface (
  rack text not null,
  name text not null,
  mac text not null,
  up boolean not null,
  primary key (rack, name)
);
create table network.rack_address (
  rack text not null,
  interface text not null,
  address inet not null,
  length integer not null,
  primary key (rack, interface, address),
  foreign key (rack, interface) references network.rack_interface on delete cascade
);
create index on network.rack_address using gist (address inet_ops);

with fabric as (insert into network.fabric (name) values ('fabric-0') returning id)
insert into network.vlan (fabric_id, vid, name) select id, 0, 'untagged' from fabric;
