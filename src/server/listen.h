/* listen.h - listening sockets, and the addresses of sockets. */

#ifndef LISTEN_H
#define LISTEN_H

#include <stdbool.h>
#include <sys/select.h>
#include <sys/socket.h>

/* Room for the longest address: of IPv6, with a zone and a port. */
enum { ADDRESS_SIZE = 96 };

/* Writes ADDRESS:PORT, an address of IPv6 in brackets. A client of IPv4 appears as one also where
 * its listener is of IPv6. */
void format_address(const struct sockaddr_storage *address, char text[ADDRESS_SIZE]);

/* Returns the address that a socket is bound to. */
struct sockaddr_storage local_address(int sd);

/* Listens at each address of a name, but at none twice, or for NULL at the wildcard address: that
 * of IPv6 unless the kernel has IPv4 only. If it is `alone`, that of IPv6 takes in IPv4. Adds the
 * sockets, which do not block, to the set. On failure prints why on standard error and returns -1.
 */
int listen_on(const char *name, const char *port, bool alone, fd_set *listeners);

#endif /* LISTEN_H */
