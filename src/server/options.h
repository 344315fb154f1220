/* options.h - the command line. */

#ifndef OPTIONS_H
#define OPTIONS_H

#include <stddef.h>

/* How many bytes may wait for a client unless the command line says otherwise: the library's own
 * limit. */
enum { MAX_QUEUE = 8 << 20 };

struct options {
	const char *address; /* to listen on; this and max_queue: left alone unless given */
	size_t max_queue;    /* how many bytes may wait for a client; 0 for any number */
	const char *port;
};

/* Reads the command line, and ends the transcript at once where it is not wanted. Ends
 * the program where the command line asks for nothing more, or for nonsense. */
void parse_options(int argc, char *argv[], struct options *options);

#endif /* OPTIONS_H */
