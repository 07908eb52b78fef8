/** docs/availability.md: the measured table with what stands around it. Pure. */
export const page = (table: string): string => `# What a fault costs

Written by \`npm run test:ha\`, which is part of \`npm test\`. It builds a cluster of three regions (each with haproxy and keepalived beside it, configured by \`bedplate ha\`), three racks and two
PostgreSQL servers with synchronous replication, each in a network namespace of its own on one bridge, and breaks its parts in turn while this load goes on:

- a client reads through the floating address every 100 ms, each time on a new connection, and takes what needs more than a second for failed;
- it writes every 200 ms, and repeats a write that failed under the same Idempotency-Key until it is acknowledged;
- each rack reports a fact and calls a region every 100 ms.

| column | is |
| --- | --- |
| noticed | from the fault to the moment the others acted on it: links let go, another leader, another primary in use |
| recovered | from the fault to the last trouble of any kind: a read or call that failed, a write that needed a second attempt or more than a second, no leader. The fault still stands then |
| reads failed | how long reads through the floating address failed, all outages of this fault together; at most 3 s |
| requests failed | reads, attempts of writes, and calls of racks that failed |
| writes lost | acknowledged, and not there at the end |
| facts lost, doubled | reported on a rack and not stored at the end; stored twice or out of order |

A standby is promoted half a second after its primary broke, as whoever watches over the servers would do it (Patroni waits for its own time limits first: see [the guide](guides/database-ha.md)).
Where every region is gone there is nothing to read from: that row's times begin when the first region is ready again (ten seconds and its start later). Where the standby hangs, commits wait for it,
as synchronous means; its recovery is counted from its return.

${table}

Run it: \`npm run test:ha\` (root; \`--json\` for one object per fault, \`--only <text>\` for some of them). The times are those of one run of two processor cores that carry the whole cluster.
`
