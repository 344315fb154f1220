/* address.c - see address.h. */

#define _GNU_SOURCE /* getnameinfo */

#include "address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

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
