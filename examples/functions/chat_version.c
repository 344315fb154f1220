/* Prints:
 *   1.0.0
 */
#include <stdio.h>

#include <chatServerExt.h>

int main(void)
{
	puts(chat_version());
	return 0;
}
