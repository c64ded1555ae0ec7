# docker build -t calibtool .
# docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" calibtool evaluate predictions.npz
# With extras: docker build --build-arg EXTRAS=remote,hdf5 -t calibtool .

ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ARG EXTRAS=""
WORKDIR /src
COPY . .
RUN python -m venv /opt/calibtool \
    && pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && set -- /wheels/*.whl \
    && /opt/calibtool/bin/pip install --no-cache-dir "$1${EXTRAS:+[$EXTRAS]}"

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.source="https://github.com/OWNER/calibtool" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/calibtool /opt/calibtool
RUN useradd --create-home --uid 1000 calibtool
# Any --user can run it: Matplotlib's cache goes where all may write.
ENV PATH=/opt/calibtool/bin:$PATH \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONDONTWRITEBYTECODE=1
USER 1000:1000
WORKDIR /data
ENTRYPOINT ["calibtool"]
CMD ["--help"]
