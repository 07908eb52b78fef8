/** HAProxy's configuration for the cluster: one HTTP front door to every region. Pure. */
import { comment, endpoint } from './cluster.ts'
import type { Cluster } from './cluster.ts'

export interface HaproxyOptions {
  readonly port?: number // of the front door; 80, or 443 with a certificate
  /** PEM file with certificate and key, for HTTPS. */
  readonly certificate?: string | undefined
  /** On the floating address alone rather than on every address. */
  readonly onVip?: boolean
  /** Folder of the administration socket. */
  readonly runDirectory?: string
  /** TCP port of loopback where HAProxy itself says that it lives; keepalived asks there. */
  readonly healthPort?: number
}
export const healthPort = 5249

/** The whole file, the same for every node. Changes only with what is in `cluster` and `options`. */
export function renderHaproxy ({ regions, vip }: Cluster, { certificate, port = certificate === undefined ? 80 : 443, onVip = false, runDirectory = '/run/haproxy', healthPort: health = healthPort }: HaproxyOptions = {}): string {
  const usable = regions.flatMap(region => region.address === undefined ? [] : [{ ...region, address: region.address }])
  const left = regions.filter(({ address }) => address === undefined)
  const dual = [vip?.address, ...usable.map(({ address }) => address)].some(address => address?.includes(':'))
  const ssl = certificate === undefined ? '' : ` ssl crt ${certificate} alpn h2,http/1.1`
  // "transparent" lets it take an address that stands on another node for the time being
  const bind = onVip && vip !== undefined ? `${endpoint(vip.address, port)} transparent` : dual ? `[::]:${port} v4v6` : `*:${port}`
  const servers = usable.map(({ name, address, port }) => `    server ${name} ${endpoint(address, port)} check`)
  return `# Bedplate: the front door of ${usable.length} region${usable.length === 1 ? '' : 's'}. Printed by "bedplate ha haproxy", the same for every node; print it again after a region joined or left.
#   put it in   /etc/haproxy/haproxy.cfg     (Debian, Ubuntu: apt-get install haproxy)
#   check it    haproxy -c -f /etc/haproxy/haproxy.cfg
#   load it     systemctl reload haproxy
#
# Only the API passes here. The racks' links (port 5250) do not: every rack holds a link to every region by itself.
${left.map(({ hostname, id }) => `# LEFT OUT: region ${comment(hostname)} (${comment(id)}): no address is known that other hosts reach; set rpc.advertise there.\n`).join('')}
global
    log stdout format raw daemon
    user haproxy
    group haproxy
    maxconn 4096
    stats socket ${runDirectory}/admin.sock mode 660 level operator
    # after a reload, event streams of the old process get this long; then their readers come back to the new one
    hard-stop-after 60s

defaults
    mode http
    log global
    option httplog
    option dontlog-normal

    # A connection to the region for each request: an idle one that the region closes at the wrong moment would fail a POST that cannot be sent twice.
    option http-server-close
    balance roundrobin

    # A request that could not be delivered goes to another region at once, twice at most; one that may have been (empty-response, 503) only when
    # asking twice does no harm: see disable-l7-retry below.
    option redispatch 1
    retries 2
    retry-on conn-failure empty-response 503

    timeout connect 1s
    timeout check 700ms
    timeout http-request 10s
    timeout http-keep-alive 30s
    timeout queue 5s
    # Nothing waits this long for a region that hangs: the checks end it. Event streams (/api/v1/events) are never silent for more than 15 s.
    timeout client 5m
    timeout server 5m

    # A region that hangs is out after 2.2 s at most (0.5 s + 0.7 s + 0.3 s + 0.7 s), one that is gone at the first refused connection.
    default-server inter 500ms fastinter 300ms downinter 1s fall 2 rise 1 on-marked-down shutdown-sessions init-addr last,libc,none

    http-error status 502 content-type application/problem+json string '${problem(502, 'Bad Gateway', 'The region broke off while it answered. What was asked may have been done: read again before repeating it.')}'
    http-error status 503 content-type application/problem+json string '${problem(503, 'Service Unavailable', 'No region answered. What was asked may have been done: read again before repeating it.')}' hdr Retry-After 1
    http-error status 504 content-type application/problem+json string '${problem(504, 'Gateway Timeout', 'The region did not answer in time. What was asked may have been done: read again before repeating it.')}'

frontend bedplate
    bind ${bind}${ssl}
    http-request del-header X-Forwarded-For
    option forwardfor
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    # What changes something is sent again only while no region has got it. Not with an Idempotency-Key either: the region that died may hold
    # the key, and the client, who knows what it asked for, repeats it when it is free.
    http-request disable-l7-retry unless METH_GET or { method OPTIONS }
    default_backend bedplate-ready
    # With no region ready (the database changes servers), a region that lives lets requests wait for a while, and says what is wrong.
    use_backend bedplate-alive if { nbsrv(bedplate-ready) eq 0 }

# /readyz: 200 when a region is ready. Otherwise it gets nothing new but finishes what it has (L7OKC); one that does not answer at all is cut off.
backend bedplate-ready
    option httpchk GET /readyz
    http-check expect status 200 error-status L7OKC
${servers.join('\n')}

backend bedplate-alive
    option httpchk GET /livez
    http-check expect status 200
    retry-on conn-failure empty-response
${servers.join('\n')}

# Whether HAProxy itself lives: what keepalived asks (bedplate ha keepalived).
frontend bedplate-health
    bind 127.0.0.1:${health}
    monitor-uri /
`
}

/** What HAProxy answers by itself, as the API would. */
const problem = (status: number, title: string, detail: string): string =>
  JSON.stringify({ type: 'urn:bedplate:error:UNAVAILABLE', title, status, detail, code: 'UNAVAILABLE' })
