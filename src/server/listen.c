/* listen.c - see listen.h. */

#define _GNU_SOURCE /* getaddrinfo, SOCK_NONBLOCK */

#include "listen.h"

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../common/fdset_next.h"
#include "../common/tcp.h"

void format_address(const struct sockaddr_storage *address, char text[ADDRESS_SIZE])
{
	static const char mapped[] = "::ffff:";
	const size_t prefix = sizeof mapped - 1;
	char host[64] = "?", port[8] = "?";

	getnameinfo((const struct sockaddr *)address, sizeof *address, host, sizeof host, port,
	            sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
	if (strncmp(host, mapped, prefix) == 0 && strchr(host, '.') != NULL)
		snprintf(text, ADDRESS_SIZE, "%s:%s", host + prefix, port);
	else
		snprintf(text, ADDRESS_SIZE, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

/* Returns a listening socket at this one address, or -1 with errno set. */
static int listen_at(const struct addrinfo *address, bool v6_only)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address->ai_addr;
	int sd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (sd == -1)
		return -1;
	errno = EMFILE;
	if (sd < FD_SETSIZE &&
	    (address->ai_family != AF_INET6 ||
	     set_number(sd, IPPROTO_IPV6, IPV6_V6ONLY,
	                v6_only && !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) == 0) &&
	    set_number(sd, SOL_SOCKET, SO_REUSEADDR, 1) == 0 && set_up_tcp(sd) == 0 &&
	    bind(sd, address->ai_addr, address->ai_addrlen) == 0 && listen(sd, SOMAXCONN) == 0)
		return sd;
	error = errno;
	close(sd);
	errno = error;
	return -1;
}

/* Finds the addresses of a name, or for NULL the wildcard address. Returns NULL, having printed
 * why, if there are none. */
static struct addrinfo *look_up(const char *name, const char *port)
{
	const struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		                        .ai_socktype = SOCK_STREAM };
	int sd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), failure;
	const char *wildcard = sd == -1 ? "0.0.0.0" : "::";
	struct addrinfo *found = NULL;

	if (sd != -1)
		close(sd);
	failure = getaddrinfo(name != NULL ? name : wildcard, port, &hints, &found);
	if (failure != 0)
		warnx("%s: %s", name != NULL ? name : wildcard,
		      failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure));
	return found;
}

struct sockaddr_storage local_address(int sd)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t length = sizeof address;

	getsockname(sd, (struct sockaddr *)&address, &length);
	return address;
}

/* Whether one of the sockets listens at this address; the port is the same for all. */
static bool is_listened_at(const struct addrinfo *wanted, const fd_set *listeners)
{
	int sd;

	FOR_EACH_FD (sd, listeners) {
		struct sockaddr_storage bound = local_address(sd);

		/* The port may differ: 0 became another one. */
		((struct sockaddr_in *)&bound)->sin_port =
			((const struct sockaddr_in *)wanted->ai_addr)->sin_port;
		if (memcmp(&bound, wanted->ai_addr, wanted->ai_addrlen) == 0)
			return true;
	}
	return false;
}

/* Prints that it cannot listen there, and the reason from errno. */
static void report_failure(const char *name, const struct addrinfo *address, const char *port)
{
	const char *why = strerror(errno);
	char host[64] = "?";

	getnameinfo(address->ai_addr, address->ai_addrlen, host, sizeof host, NULL, 0,
	            NI_NUMERICHOST);
	fprintf(stderr, "%s: cannot listen on port %s", program_invocation_short_name, port);
	if (name != NULL)
		fprintf(stderr, " of %s", name);
	if (name != NULL && strcmp(name, host) != 0)
		fprintf(stderr, " (%s)", host);
	fprintf(stderr, ": %s\n", why);
}

int listen_on(const char *name, const char *port, bool alone, fd_set *listeners)
{
	struct addrinfo *found = look_up(name, port), *address;
	int sd = found != NULL ? 0 : -1;

	for (address = found; address != NULL && sd != -1; address = address->ai_next) {
		if (is_listened_at(address, listeners))
			continue;
		sd = listen_at(address, !alone || found->ai_next != NULL);
		if (sd != -1)
			FD_SET(sd, listeners);
		else
			report_failure(name, address, port);
	}
	if (found != NULL)
		freeaddrinfo(found);
	return sd == -1 ? -1 : 0;
}
