/* options.c - see options.h. */

#define _GNU_SOURCE /* getopt_long */

#include "options.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "chatServerExt.h"
#include "log.h"
#include "number.h"

/* The installed program has another name. */
static void usage(void)
{
	printf("Usage: %s <port>\n", program_invocation_short_name);
}

static void help(void)
{
	usage();
	printf("Relays every line from a client to all other clients.\n"
	       "\n"
	       "  --bind ADDRESS     listen on this address only, of IPv4 or IPv6\n"
	       "  --max-queue BYTES  cut off a client for whom more than this waits\n"
	       "                     (%d unless given; 0 for no limit)\n"
	       "  --quiet            no transcript on standard output\n"
	       "  --help             print this and end\n"
	       "  --version          print the version and end\n"
	       "\n"
	       "Options come before the port. Where systemd passes sockets to listen on, neither\n"
	       "--bind nor the port is given. SIGINT or SIGTERM ends the server, SIGUSR1 has it log\n"
	       "one line of statistics on standard error.\n",
	       MAX_QUEUE);
}

/* Prints what is wrong with the command line, and exits. */
__attribute__((noreturn, format(printf, 1, 2))) static void reject(const char *why, ...)
{
	va_list arguments;

	va_start(arguments, why);
	vwarnx(why, arguments);
	va_end(arguments);
	usage();
	exit(EXIT_FAILURE);
}

void parse_options(int argc, char *argv[], bool has_listeners, struct options *options)
{
	static const struct option known[] = {
		{ "bind", required_argument, NULL, 'b' },
		{ "max-queue", required_argument, NULL, 'm' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	uintmax_t number;
	int option;

	/* The messages of getopt_long() then begin with the same name as those of warnx(). */
	if (argc > 0)
		argv[0] = program_invocation_short_name;
	while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		switch (option) {
		case 'b':
			options->address = optarg;
			break;
		case 'm':
			if (!parse_number(optarg, 0, SIZE_MAX, &number))
				reject("not a number of bytes: '%s'", optarg);
			options->max_queue = (size_t)number;
			break;
		case 'q':
			transcript_disable();
			chat_set_quiet(1);
			break;
		case 'h':
			help();
			exit(EXIT_SUCCESS);
		case 'v':
			printf("%s (libchatserver) %s\n", program_invocation_short_name,
			       chat_version());
			exit(EXIT_SUCCESS);
		default: /* getopt_long() has printed what is wrong */
			usage();
			exit(EXIT_FAILURE);
		}
	}
	if (has_listeners) {
		if (argc == optind && options->address == NULL)
			return;
		errx(EXIT_FAILURE, "sockets to listen on have been passed: no --bind and no port");
	}
	/* Without any argument the usage alone will do. */
	if (argc <= 1) {
		usage();
		exit(EXIT_FAILURE);
	}
	if (argc == optind)
		reject("a port is wanted");
	if (argc - optind > 1)
		reject("nothing is wanted after the port: '%s'", argv[optind + 1]);
	if (!parse_number(argv[optind], 1, 65535, &number))
		reject("not a port number (1 to 65535): '%s'", argv[optind]);
	options->port = argv[optind];
}
