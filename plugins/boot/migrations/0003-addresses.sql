-- What operators want as the boot address of a VLAN, for each family: one that the region chooses, none, or a certain one. A VLAN without a row: chosen by the region.
-- The address itself stands in the network's plan, owned by `boot:<vlan>`.
create table boot.vlan (
  vlan_id text primary key,
  v4 text not null default 'auto' check (v4 ~ '^(auto|none|[0-9.]+)$'),
  v6 text not null default 'auto' check (v6 ~ '^(auto|none|[0-9a-f:.]+)$'),
  problem4 text, -- why there is none, although there should be
  problem6 text
);
