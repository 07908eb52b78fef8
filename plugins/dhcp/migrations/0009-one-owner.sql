-- contract: the version before knows neither reserves nor retirements, and does not clear them where it gives an address to a client or to a block
alter table dhcp.address
  add constraint one_owner check (num_nonnulls(mac, rack, quarantined_until) + (case when reserve_of is not null and mac is null then 1 else 0 end) = 1),
  add constraint reserve_is_granted check ((reserve_of is null) = (reserve_grant is null)),
  add constraint reserve_is_kept check (reserve_of is null or (rack is null and quarantined_until is null)),
  add constraint retiring_had_a_client check (retiring is null or mac is not null or quarantined_until is not null),
  add constraint waiting_has_a_round check (waits_for = '{}' or retiring is not null);
