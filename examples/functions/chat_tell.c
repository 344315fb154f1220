/* Prints:
 *   Welcome to the room.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chatServerExt.h>

int main(void)
{
	static const char welcome[] = "Welcome to the room.\n";
	char received[BUFFER_SIZE];
	conn_pool_t pool;
	int pair[2], len;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 ||
	    init_pool(&pool) == -1 || add_conn(pair[0], &pool) == -1 ||
	    chat_tell(pair[0], welcome, sizeof welcome - 1, &pool) == -1) {
		perror("chat_tell");
		return EXIT_FAILURE;
	}
	write_msg(pair[0], &pool);
	len = (int)read(pair[1], received, sizeof received);
	printf("%.*s", len, received);
	return EXIT_SUCCESS;
}
