-- What operators set: how a VLAN and a subnet are served, options of their own, and addresses fixed by client id.
alter table dhcp.vlan
  add column mode text not null default 'server' check (mode in ('server', 'proxy', 'off')), -- of IPv4
  add column v6 text not null default 'off' check (v6 in ('off', 'stateless', 'stateful'));

-- A subnet without a row has the defaults of the configuration.
create table dhcp.subnet (
  subnet_id text primary key,
  lease_seconds integer, -- null: the configuration's
  firmware_seconds integer, -- of leases to boot firmware; null: the configuration's
  domain text,
  search text[] not null default '{}',
  ntp text[] not null default '{}'
);

-- `scope`: global, subnet:<id> or mac:<mac>. `data` is what goes over the wire, made when it was saved: nothing on a rack can fail at it.
create table dhcp.option (
  scope text not null,
  code integer not null check (code between 1 and 254),
  name text not null,
  type text, -- of a code the registry does not know
  value jsonb not null,
  data bytea not null,
  primary key (scope, code)
);

-- The address itself is set aside in the network's plan; here is whom for.
create table dhcp.fixed (
  address inet primary key,
  subnet_id text not null,
  client_id text not null, -- hex, as on the wire
  hostname text,
  unique (subnet_id, client_id)
);
