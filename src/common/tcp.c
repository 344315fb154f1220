/* tcp.c - see tcp.h. */

#define _GNU_SOURCE /* TCP_USER_TIMEOUT */

#include "tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* A silent peer is given up after 60 s without data and 3 unanswered probes 10 s apart, or after
 * the same time with data that it has not acknowledged. */
enum { IDLE_S = 60, PROBE_S = 10, PROBES = 3, GIVE_UP_MS = (IDLE_S + PROBES * PROBE_S) * 1000 };

bool user_timeout_is_missing;

int set_number(int sd, int level, int option, int value)
{
	return setsockopt(sd, level, option, &value, sizeof value);
}

int set_up_tcp(int sd)
{
	if (set_number(sd, SOL_SOCKET, SO_KEEPALIVE, 1) == -1 ||
	    set_number(sd, IPPROTO_TCP, TCP_KEEPIDLE, IDLE_S) == -1 ||
	    set_number(sd, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_S) == -1 ||
	    set_number(sd, IPPROTO_TCP, TCP_KEEPCNT, PROBES) == -1)
		return -1;
	/* Has data that is not acknowledged end a connection, too. Some kernels and sandboxes lack
	 * this; then it takes the kernel's own time, a quarter of an hour. */
	if (set_number(sd, IPPROTO_TCP, TCP_USER_TIMEOUT, GIVE_UP_MS) == -1) {
		if (errno != ENOPROTOOPT)
			return -1;
		user_timeout_is_missing = true;
	}
	/* Leaves urgent bytes in their place, as the last one of telnet's Synch. */
	if (set_number(sd, SOL_SOCKET, SO_OOBINLINE, 1) == -1)
		return -1;
	/* Sends a line at once, without waiting until the last one has been acknowledged. */
	return set_number(sd, IPPROTO_TCP, TCP_NODELAY, 1);
}
