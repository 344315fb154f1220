/* options.c - see options.h. */

#define _GNU_SOURCE /* getopt_long, gethostname, getline */

#include "options.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/number.h"
#include "../common/refuse.h"

#define USAGE    "Usage: %s [OPTION]... mqtt[s]://[USER@]HOST[:PORT]/ROOM [HOST:]PORT\n"
#define PASSWORD "CHATSERVER_RELAY_PASSWORD"

/* The spool's size: unless it is set, and at least, so that a few long messages fit. */
enum { SPOOL = 64 << 20, LEAST_SPOOL = 1 << 20 };

static void help(void)
{
	printf(USAGE
	       "Joins the room of the server at PORT to all others on the broker that have a "
	       "relay for ROOM.\n"
	       "\n"
	       "  -i, --id NAME             the relay's name, unlike all others' in the room\n"
	       "                            (else the machine's name and PORT)\n"
	       "  -s, --spool BYTES         keep so much while the broker takes nothing\n"
	       "                            (K, M and G are understood; else %dM)\n"
	       "  -q, --qos 0|1             1 (the default): have the broker confirm messages\n"
	       "  -c, --ca FILE             trust these certificate authorities (mqtts), not\n"
	       "                            those in /etc/ssl/certs\n"
	       "  -p, --password-file FILE  read USER's password from the first line\n"
	       "                            (else it is in " PASSWORD ")\n"
	       "  -h, --help                print this and end\n"
	       "  -V, --version             print the version and end\n"
	       "\n"
	       "SIGINT, SIGTERM or SIGHUP ends the relay, SIGUSR1 has it log its statistics.\n"
	       "chatserver-relay(1) has the details.\n",
	       program_invocation_short_name, SPOOL >> 20);
}

bool is_name(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	if (*at == '\0' || strlen(text) >= NAME_SIZE)
		return false;
	while (*at > ' ' && *at != 0x7F && strchr("/+#", *at) == NULL)
		at++;
	return *at == '\0';
}

bool split_address(char *text, bool is_port, const char **host, const char **port)
{
	char *colon = strchr(text, ':'), *end = strchr(text, ']');
	uintmax_t number;

	*host = *port = NULL;
	if (*text == '[') {
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return false;
		colon = end[1] == ':' ? end + 1 : NULL;
		*end = '\0';
		*host = text + 1;
	} else if (colon != NULL || !is_port) {
		*host = text;
	}
	if (colon != NULL) {
		*colon = '\0';
		*port = colon + 1;
	} else if (*host == NULL) {
		*port = text;
	}
	return (*host == NULL || **host != '\0') &&
	       (*port != NULL ? parse_number(*port, "", 1, 65535, &number) : !is_port);
}

/* Returns the first line of a file. */
static char *read_password(const char *name)
{
	FILE *file = fopen(name, "re");
	char *line = NULL;
	size_t size = 0;
	const ssize_t length = file != NULL ? getline(&line, &size, file) : -1;

	if (file == NULL || (length == -1 && !feof(file)))
		err(EXIT_FAILURE, "%s", name);
	if (length != -1)
		line[strcspn(line, "\r\n")] = '\0';
	if (length == -1 || *line == '\0')
		errx(EXIT_FAILURE, "%s: no password in its first line", name);
	fclose(file);
	return line;
}

/* Parses mqtt[s]://[USER@]HOST[:PORT]/ROOM, in place. */
static void parse_broker(char *text, struct options *options)
{
	char *start = strstr(text, "://"), *end, *at;

	if (start == NULL || (strncmp(text, "mqtt:", 5) != 0 && strncmp(text, "mqtts:", 6) != 0))
		REJECT("not a broker's address, mqtt://... or mqtts://...: '%s'", text);
	options->tls = text[4] == 's';
	start += 3;
	end = strchr(start, '/');
	if (end == NULL || !is_name(end + 1))
		REJECT("no ROOM in '%s': a name without / + # and blanks, of at most %d bytes",
		       text, NAME_SIZE - 1);
	*end = '\0';
	options->room = end + 1;
	at = strrchr(start, '@');
	if (at != NULL) {
		*at = '\0';
		options->user = start;
		start = at + 1;
		if (strchr(options->user, ':') != NULL)
			REJECT("a password on the command line can be seen by everyone: use "
			       "--password-file");
	}
	if (!split_address(start, false, &options->broker.host, &options->broker.port))
		REJECT("not a broker's HOST[:PORT]: '%s'", start);
	if (options->broker.port == NULL)
		options->broker.port = options->tls ? "8883" : "1883";
}

/* Names the relay after machine and server, unless it has a name. */
static void set_id(const char *id, struct options *options)
{
	enum { MOST_OF_IT = NAME_SIZE - (int)sizeof "-65535" };
	char machine[HOST_NAME_MAX + 1];

	if (id == NULL && gethostname(machine, sizeof machine) == -1)
		err(EXIT_FAILURE, "the machine's name");
	if (id == NULL)
		snprintf(options->id, sizeof options->id, "%.*s-%s", MOST_OF_IT, machine,
		         options->server.port);
	else if (is_name(id))
		strcpy(options->id, id);
	if (!is_name(options->id))
		REJECT("--id: not a name without / + # and blanks, of at most %d bytes: '%s'",
		       NAME_SIZE - 1, id != NULL ? id : options->id);
}

static const struct option known[] = {
	{ "id", required_argument, NULL, 'i' },
	{ "spool", required_argument, NULL, 's' },
	{ "qos", required_argument, NULL, 'q' },
	{ "ca", required_argument, NULL, 'c' },
	{ "password-file", required_argument, NULL, 'p' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* Handles one option, but for --id and --password-file. */
static void handle(int option, const char *value, struct options *options)
{
	uintmax_t number;

	switch (option) {
	case 's':
		if (!parse_number(value, "KMG", LEAST_SPOOL, SIZE_MAX, &number))
			REJECT("--spool: not a number of bytes (from 1M): '%s'", value);
		options->spool = (size_t)number;
		break;
	case 'q':
		if (!parse_number(value, "", 0, 1, &number))
			REJECT("--qos: neither 0 nor 1: '%s'", value);
		options->qos = (int)number;
		break;
	case 'c':
		options->ca = value;
		break;
	case 'h':
		help();
		exit(EXIT_SUCCESS);
	case 'V':
		printf("%s (libchatserver) " VERSION "\n", program_invocation_short_name);
		exit(EXIT_SUCCESS);
	case '?': /* getopt_long() has printed what is wrong */
		refer_to_help(USAGE);
	}
}

void parse_options(int argc, char *argv[], struct options *options)
{
	const char *id = NULL, *password_file = NULL;
	int option;

	options->spool = SPOOL;
	options->qos = 1;
	/* The messages of getopt_long() then begin with the same name as those of warnx(). */
	if (argc > 0)
		argv[0] = program_invocation_short_name;
	while ((option = getopt_long(argc, argv, "i:s:q:c:p:hV", known, NULL)) != -1) {
		if (option == 'i')
			id = optarg;
		else if (option == 'p')
			password_file = optarg;
		else
			handle(option, optarg, options);
	}
	if (argc - optind != 2)
		REJECT("a broker with a room and a server's port are needed, and nothing else");
	parse_broker(argv[optind], options);
	if (!split_address(argv[optind + 1], true, &options->server.host, &options->server.port))
		REJECT("not a server's [HOST:]PORT: '%s'", argv[optind + 1]);
	if (options->server.host == NULL)
		options->server.host = "localhost";
	set_id(id, options);
	if (options->ca != NULL && !options->tls)
		REJECT("--ca is for mqtts://");
	options->password = getenv(PASSWORD);
	if (password_file != NULL)
		options->password = read_password(password_file);
	if (options->password != NULL && options->user == NULL)
		REJECT("a password needs a USER: mqtt://USER@...");
}
