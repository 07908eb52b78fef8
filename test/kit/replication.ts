/** The commands of streaming replication, as docs/guides/database-ha.md gives them: the tests run what the guide says. */

/** Commands with `{places}`; run as the server's account, with the passwords in ~/.pgpass (or PGPASSFILE). */
export const commands = {
  initialise: 'initdb --pgdata={data} --data-checksums --auth-local=trust --auth-host=scram-sha-256 --username=postgres --encoding=UTF8',
  serve: 'postgres -D {data}',
  slot: "select pg_create_physical_replication_slot('{name}') where not exists (select from pg_replication_slots where slot_name = '{name}')",
  copy: "pg_basebackup --pgdata={data} --dbname='host={host} port={port} user=replicator application_name={name}' --slot={name} --write-recovery-conf --checkpoint=fast",
  promote: 'pg_ctl promote -D {data} -w',
  rewind: "pg_rewind --target-pgdata={data} --source-server='host={host} port={port} user=replicator dbname=postgres application_name={name}' --write-recovery-conf"
} as const

/** Puts values in the `{places}`; a place without one stays as it is. */
export const fill = (command: string, values: Readonly<Record<string, string>>): string => command.replace(/\{(\w+)\}/g, (place, key: string) => values[key] ?? place)

/** What pg_hba.conf needs: Bedplate's regions, and the servers among each other. */
export const hbaLines = (database: string, network: string): string[] => [
  `host ${database} ${database} ${network} scram-sha-256`,
  `host replication replicator ${network} scram-sha-256`,
  `host postgres replicator ${network} scram-sha-256`
]

/** The roles: an owner for Bedplate's database, and one that replicates and may do what pg_rewind does. */
export const roleStatements = (database: string, password: string): string[] => [
  `create role ${database} login password '${password}'`,
  `create database ${database} owner ${database}`,
  `create role replicator login replication password '${password}'`,
  'grant execute on function pg_catalog.pg_ls_dir(text, boolean, boolean) to replicator',
  'grant execute on function pg_catalog.pg_stat_file(text, boolean) to replicator',
  'grant execute on function pg_catalog.pg_read_binary_file(text) to replicator',
  'grant execute on function pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) to replicator'
]
