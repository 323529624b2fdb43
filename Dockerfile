# The web app and its HTTP API. Nothing in it is written to but /tmp, and no one in it is root:
#
#   docker build -t facerelief .
#   docker run --rm --read-only --tmpfs /tmp --cap-drop ALL -p 127.0.0.1:7860:7860 facerelief
#
# tests/web/test_dockerfile.py does what its lines say where there is no Docker.
FROM python:3.11-slim
WORKDIR /opt/facerelief
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN pip install --no-cache-dir --disable-pip-version-check '.[web]'
RUN python -m compileall -q -j 0 /usr/local/lib/python3.11/site-packages/facerelief
RUN useradd --system --no-create-home --shell /usr/sbin/nologin facerelief
USER facerelief
WORKDIR /tmp
ENV HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/health', timeout=8)"]
ENTRYPOINT ["facerelief", "serve", "--host", "0.0.0.0"]
CMD ["--port", "7860"]
