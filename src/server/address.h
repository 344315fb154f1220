/* address.h - the address of a socket, as the log shows it. */

#ifndef ADDRESS_H
#define ADDRESS_H

#include <sys/socket.h>

/* Room for the longest: IPv6 with a zone and a port. */
enum { ADDRESS_SIZE = 96 };

/* Writes ADDRESS:PORT, an address of IPv6 in brackets. A client of IPv4 appears as one also where
 * its listener is of IPv6. */
void format_address(const struct sockaddr_storage *address, char text[ADDRESS_SIZE]);

#endif /* ADDRESS_H */
