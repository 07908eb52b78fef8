-- Where a client was when it last asked for its address through a relay: the port and the relay, as the relay calls them (RFC 3046), in hex. It counts only for that client.
create table dhcp.relay_port (
  address inet primary key,
  client text not null,
  circuit_id text,
  remote_id text,
  seen_at timestamptz not null default now()
);
