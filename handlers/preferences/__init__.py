"""What clients answer through the signed links of their mails: pages that only show, and posts that act."""
