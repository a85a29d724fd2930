"""What the gateway is measured against: the same framework and server, which reads the body and says yes."""

import sys

import uvicorn
from fastapi import FastAPI, Request, Response


async def say_yes(request: Request) -> Response:
    await request.body()
    return Response(b'{"status":"accepted"}', media_type="application/json")


def main() -> None:
    app = FastAPI()
    app.add_route("/webhooks/{source}", say_yes, methods=["POST"])
    uvicorn.run(app, port=int(sys.argv[1]), log_config=None, access_log=False)


if __name__ == "__main__":
    main()
