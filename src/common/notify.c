/* notify.c - see notify.h. */

#define _GNU_SOURCE /* SOCK_CLOEXEC */

#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

bool notify_ready(void)
{
	static const char ready[] = "READY=1";
	static bool is_done;
	const char *name = getenv("NOTIFY_SOCKET");
	size_t length = name != NULL ? strlen(name) : 0;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	int sd, error = 0;

	if (name == NULL || is_done)
		return true;
	if (length < sizeof address.sun_path) {
		memcpy(address.sun_path, name, length);
		/* An abstract socket has a NUL in place of the '@'. */
		if (name[0] == '@')
			address.sun_path[0] = '\0';
		sd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (sd == -1 || sendto(sd, ready, sizeof ready - 1, MSG_DONTWAIT,
		                       (struct sockaddr *)&address, size) == -1)
			error = errno;
		if (sd != -1)
			close(sd);
	} else {
		error = ENAMETOOLONG;
	}
	is_done = error != EAGAIN && error != EMFILE && error != ENFILE && error != ENOBUFS &&
	          error != ENOMEM;
	if (is_done && error != 0)
		log_warning(NULL, "NOTIFY_SOCKET", strerror(error));
	return is_done;
}
