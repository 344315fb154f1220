/* options.c - see options.h. */

#define _GNU_SOURCE /* getopt_long */

#include "options.h"

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/number.h"
#include "../common/refuse.h"
#include "chatServerExt.h"

#define USAGE "Usage: %s <port>\n"

/* The default queue limit in bytes, which is the library's as well. */
enum { MAX_QUEUE = 8 << 20 };

static void help(void)
{
	printf("Usage: %s [OPTION]... <port>\n"
	       "Relays every line from a client to all other clients. Port 0 is any free port.\n"
	       "\n"
	       "  -b, --bind ADDRESS     listen there only; may be given several times\n"
	       "  -c, --max-clients N    turn away clients beyond this number\n"
	       "  -m, --max-queue BYTES  cut off a client when more than this waits\n"
	       "                         (K, M and G are understood; 0 for no limit; else %dM)\n"
	       "  -p, --printable        relay control characters as question marks\n"
	       "  -r, --raw              relay every byte as it came, telnet's commands too\n"
	       "  -q, --quiet            no transcript on standard output\n"
	       "  -v, --verbose          log which clients join and leave\n"
	       "  -h, --help             print this and end\n"
	       "  -V, --version          print the version and end\n"
	       "\n"
	       "Where systemd passes sockets to listen on, no port is needed; with --bind and a\n"
	       "port, the server listens there, too.\n"
	       "SIGINT, SIGTERM or SIGHUP ends the server, SIGUSR1 has it log its statistics.\n"
	       "chatserver(1) has the details.\n",
	       program_invocation_short_name, MAX_QUEUE >> 20);
}

static const struct option known[] = {
	{ "bind", required_argument, NULL, 'b' },
	{ "max-clients", required_argument, NULL, 'c' },
	{ "max-queue", required_argument, NULL, 'm' },
	{ "printable", no_argument, NULL, 'p' },
	{ "raw", no_argument, NULL, 'r' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static const char *name_of(int option)
{
	const struct option *at = known;

	while (at->val != option)
		at++;
	return at->name;
}

/* Handles one option. `value` is NULL unless it has one. */
static void handle(int option, const char *value, struct options *options)
{
	uintmax_t number;

	if (value != NULL &&
	    (value[0] == '\0' || (value[0] == '-' && !isdigit((unsigned char)value[1]))))
		REJECT("--%s needs a value, and '%s' is none", name_of(option), value);
	switch (option) {
	case 'b':
		if (options->address_count == FD_SETSIZE)
			REJECT("too many addresses");
		options->addresses[options->address_count++] = value;
		break;
	case 'c':
		if (!parse_number(value, "", 1, UINT_MAX, &number))
			REJECT("--max-clients: not a number of clients (from 1): '%s'", value);
		options->max_clients = (unsigned int)number;
		break;
	case 'm':
		if (!parse_number(value, "KMG", 0, SIZE_MAX, &number))
			REJECT("--max-queue: not a number of bytes: '%s'", value);
		options->max_queue = (size_t)number;
		break;
	case 'h':
		help();
		exit(EXIT_SUCCESS);
	case 'V':
		printf("%s (libchatserver) %s\n", program_invocation_short_name, chat_version());
		exit(EXIT_SUCCESS);
	case '?': /* getopt_long() has printed what is wrong */
		refer_to_help(USAGE);
	}
	options->printable |= option == 'p';
	options->raw |= option == 'r';
	options->quiet |= option == 'q';
	options->verbose |= option == 'v';
}

void parse_options(int argc, char *argv[], bool has_listeners, struct options *options)
{
	const char *last_value = "";
	int option, last_option = 0;
	uintmax_t number;

	options->max_queue = MAX_QUEUE;
	options->max_clients = UINT_MAX;
	/* The messages of getopt_long() then begin with the same name as those of warnx(). */
	if (argc > 0)
		argv[0] = program_invocation_short_name;
	while ((option = getopt_long(argc, argv, "b:c:m:prqvhV", known, NULL)) != -1) {
		handle(option, optarg, options);
		if (optarg != NULL) {
			last_option = option;
			last_value = optarg;
		}
	}
	if (options->raw && options->printable)
		REJECT("--raw and --printable exclude each other");
	if (has_listeners && argc == optind && options->address_count == 0)
		return;
	if (has_listeners && (argc == optind || options->address_count == 0))
		errx(EXIT_FAILURE,
		     "sockets to listen on have been passed: another needs --bind and a port");
	if (argc <= optind && parse_number(last_value, "", 0, 65535, &number))
		REJECT("the port is missing, or the value of --%s, which took '%s'",
		       name_of(last_option), last_value);
	if (argc <= optind)
		REJECT("the port is missing");
	if (argc - optind > 1)
		REJECT("more than one port: '%s'", argv[optind + 1]);
	if (!parse_number(argv[optind], "", 0, 65535, &number))
		REJECT("not a port number (0 to 65535): '%s'", argv[optind]);
	options->port = argv[optind];
	if (options->address_count == 0)
		options->address_count = 1;
}
