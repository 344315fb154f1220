/* Prints:
 *   Welcome. Who are you?
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chatServerExt.h>

int main(void)
{
	static const char welcome[] = "Welcome. Who are you?\n";
	char heard[BUFFER_SIZE];
	conn_pool_t pool;
	int pair[2];
	ssize_t count;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 ||
	    init_pool(&pool) == -1 || add_conn(pair[0], &pool) == -1 ||
	    chat_tell(pair[0], welcome, sizeof welcome - 1, &pool) == -1) {
		perror("welcome");
		return EXIT_FAILURE;
	}
	write_msg(pair[0], &pool);
	count = read(pair[1], heard, sizeof heard);
	printf("%.*s", (int)count, heard);
	return EXIT_SUCCESS;
}
